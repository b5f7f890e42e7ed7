// Keeps the screen on while the page listens, where the browser can.

let lock = null;
let wanted = false;

async function take() {
  if (!wanted || lock || document.visibilityState !== "visible") return;
  try {
    lock = (await navigator.wakeLock?.request("screen")) ?? null;
    lock?.addEventListener("release", () => (lock = null)); // the browser releases it with a hidden tab
    if (!wanted) lock?.release();
  } catch {
    lock = null; // refused, as on a low battery: the page works all the same
  }
}

document.addEventListener("visibilitychange", take);

export function stayAwake(on) {
  wanted = on;
  if (on) take();
  else lock?.release();
}
