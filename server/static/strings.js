// Every text of the page, in each of its languages. `{name}` is replaced; `*strong*` and `_pale_` are marked.

import { REASONS } from "./client/errors.js";

export const LANGUAGES = ["en", "vi"];

export const STRINGS = {
  // the page
  description: [
    "Speak, and see the words. Words in full ink stay as they are.",
    "Bạn nói, chữ hiện ra. Chữ đậm sẽ không thay đổi nữa.",
  ],
  transcript: ["Transcript", "Bản ghi"],
  empty: ["Press *Start* and speak, or open a recording.", "Nhấn *Bắt đầu* rồi nói, hoặc mở một tệp ghi âm."],
  emptyInk: [
    "Words in full ink stay as they are; the _paler ones_ may still change.",
    "Chữ đậm sẽ giữ nguyên; _chữ nhạt_ còn có thể thay đổi.",
  ],
  promise: [
    "Audio goes only to this server, becomes text and is forgotten after its stream. The text stays on this device.",
    "Âm thanh chỉ được gửi đến máy chủ này để chuyển thành văn bản và không được giữ lại sau đó. Văn bản nằm trên thiết bị của bạn.",
  ],
  manner: [
    "This model writes letters as it hears them: capitals and punctuation are what it learned, often none.",
    "Mô hình này viết đúng những gì nó nghe: chữ hoa và dấu câu tùy theo dữ liệu đã học, thường là không có.",
  ],

  // controls
  start: ["Start", "Bắt đầu"],
  opening: ["Opening…", "Đang mở…"],
  stop: ["Stop", "Dừng"],
  finishing: ["Finishing…", "Đang hoàn tất…"],
  choose: ["Choose a file", "Chọn tệp"],
  jump: ["↓ Jump to latest", "↓ Đến đoạn mới nhất"],
  level: ["Microphone level", "Âm lượng micrô"],
  keep: ["Keep the text", "Lưu văn bản"],
  copy: ["Copy", "Sao chép"],
  download: ["Download", "Tải xuống"],
  downloadAs: ["Download as {format}", "Tải xuống dạng {format}"],
  play: ["Play", "Nghe lại"],
  edit: ["Edit", "Sửa"],
  search: ["Search", "Tìm"],
  code: ["Code", "Mã"],
  captions: ["Captions", "Phụ đề"],
  captionsTitle: ["The newest words in a small window that stays on top", "Những chữ mới nhất trong một cửa sổ nhỏ luôn nằm trên cùng"],
  past: ["Past", "Đã lưu"],
  clear: ["Clear", "Xóa"],
  close: ["Close", "Đóng"],
  settings: ["Settings", "Cài đặt"],

  // figures
  shown: ["shown after", "hiện sau"],
  shownTitle: [
    "From the sound of a word to the word on this page, pale or not",
    "Từ lúc một từ được nói đến lúc nó hiện trên trang, dù còn nhạt hay đã đậm",
  ],
  stays: ["stays after", "chốt sau"],
  staysTitle: ["From the end of a word to the word in full ink", "Từ lúc nói xong một từ đến lúc nó hiện đậm"],
  lag: ["lag", "chờ xử lý"],
  lagTitle: [
    "Audio that the server has received and not yet dealt with",
    "Phần âm thanh máy chủ đã nhận nhưng chưa xử lý",
  ],
  of: [" of {time}", " / {time}"],
  queue: ["file {number} of {count}", "tệp {number}/{count}"],
  seconds: ["{seconds} s", "{seconds} giây"],

  // a model and its languages
  model: ["Model", "Mô hình"],
  language: ["Language", "Ngôn ngữ"],
  detect: ["Detect", "Tự nhận biết"],
  found: ["Found: {language}.", "Nhận ra: {language}."],
  lock: ["Keep to it", "Giữ ngôn ngữ này"],
  locked: ["From here on the language is {language}.", "Từ đây ngôn ngữ là {language}."],

  // a key
  keyWanted: ["This server asks for a key.", "Máy chủ này yêu cầu khóa truy cập."],
  useKey: ["Use it", "Dùng khóa này"],
  unknownKey: ["This key is not known to the server.", "Máy chủ không biết khóa này."],

  // settings
  sound: ["Sound", "Âm thanh"],
  source: ["Source", "Nguồn âm thanh"],
  defaultMicrophone: ["Default microphone", "Micrô mặc định"],
  numberedMicrophone: ["Microphone {number}", "Micrô {number}"],
  shared: ["A tab's or this computer's sound", "Âm thanh của một thẻ hoặc của máy tính"],
  test: ["Test the sound", "Thử âm thanh"],
  stopTest: ["Stop the test", "Dừng thử"],
  testLevel: ["Level of the test", "Âm lượng khi thử"],
  testHint: ["The test stays on this device: nothing is sent.", "Khi thử, âm thanh không được gửi đi đâu cả."],
  words: ["Words to expect", "Từ ngữ dự kiến"],
  keyterms: ["Names and terms, one on each line", "Tên riêng và thuật ngữ, mỗi dòng một mục"],
  prompt: ["Text before the recording, for its style and spellings", "Đoạn văn đứng trước, để theo cách viết của nó"],
  nextRecording: ["These count from the next recording on.", "Có hiệu lực từ lần ghi tiếp theo."],
  display: ["Display", "Hiển thị"],
  interface: ["Language of this page", "Ngôn ngữ của trang"],
  size: ["Letter size", "Cỡ chữ"],
  contrast: ["High contrast", "Tương phản cao"],
  captionsHint: ["Captions for OBS and other screens:", "Phụ đề cho OBS và màn hình khác:"],
  nothingFound: ["No sound yet. Speak, or choose another source.", "Chưa có âm thanh. Hãy nói thử hoặc chọn nguồn khác."],

  // search
  searchIn: ["Search in the transcript", "Tìm trong bản ghi"],
  previous: ["Previous", "Trước"],
  next: ["Next", "Sau"],
  hits: ["{number} of {count}", "{number}/{count}"],
  noHits: ["Not found", "Không thấy"],

  // code
  codeTitle: ["The same from a program", "Làm như vậy bằng chương trình"],
  codeHint: [
    "Each of these sends the recording to this server, with this model and these options.",
    "Mỗi đoạn mã dưới đây gửi tệp ghi âm đến máy chủ này, với cùng mô hình và tùy chọn.",
  ],
  codeKey: ["The key is in the environment variable ASR_KEY.", "Khóa nằm trong biến môi trường ASR_KEY."],
  copyCode: ["Copy the {language} code", "Sao chép mã {language}"],

  // past transcripts
  pastTitle: ["Past transcripts", "Bản ghi đã lưu"],
  pastHint: [
    "Kept on this device only: the text and its times, never the sound.",
    "Chỉ lưu trên thiết bị này: văn bản và mốc thời gian, không lưu âm thanh.",
  ],
  keepPast: ["Keep transcripts on this device", "Lưu bản ghi trên thiết bị này"],
  forget: ["Delete all", "Xóa tất cả"],
  forgetAll: ["Delete all transcripts that are kept on this device?", "Xóa mọi bản ghi đã lưu trên thiết bị này?"],
  delete: ["Delete", "Xóa"],
  deleteThat: ["Delete the transcript of {when}", "Xóa bản ghi lúc {when}"],
  lastKept: ["The last transcript is still on this device.", "Bản ghi gần nhất vẫn còn trên thiết bị này."],
  open: ["Open it", "Mở"],

  // notices
  broken: [
    "The connection broke. Trying again; up to {minutes} minutes of your speech are kept meanwhile.",
    "Mất kết nối. Đang thử lại; trong lúc chờ, trang giữ lại tối đa {minutes} phút lời nói của bạn.",
  ],
  brokenFile: [
    "The connection broke. Trying again; audio without text yet will be sent again.",
    "Mất kết nối. Đang thử lại; phần âm thanh chưa có văn bản sẽ được gửi lại.",
  ],
  brokenAtEnd: [
    "The server is away; the words on this page stay. Trying to get the rest. Press Stop again to send it later.",
    "Không liên lạc được với máy chủ; chữ trên trang vẫn được giữ. Đang thử lấy phần còn lại. Nhấn Dừng lần nữa để gửi sau.",
  ],
  retry: ["Retry now", "Thử lại ngay"],
  connected: ["Connected again.", "Đã kết nối lại."],
  lost: [
    "{seconds} seconds could not be kept while there was no connection.",
    "{seconds} giây lời nói không giữ lại được trong lúc mất kết nối.",
  ],
  rest: [
    "{seconds} s of sound have no final text yet. They are kept on this page, as are the underlined words.",
    "{seconds} giây âm thanh chưa có văn bản chính thức. Trang vẫn giữ phần đó cùng những chữ được gạch dưới.",
  ],
  sendRest: ["Send the rest", "Gửi phần còn lại"],
  sending: ["Sending the rest…", "Đang gửi phần còn lại…"],
  unsure: [
    "Not confirmed: the server was away before these words were final.",
    "Chưa xác nhận: mất liên lạc với máy chủ trước khi những chữ này được chốt.",
  ],
  gone: [
    "The sound has ended: the microphone was unplugged, its permission was withdrawn, or the sharing ended. The text up to then is here.",
    "Nguồn âm thanh đã ngắt: micrô bị rút, quyền bị thu hồi hoặc việc chia sẻ đã dừng. Văn bản đến lúc đó vẫn còn đây.",
  ],
  reading: ["Reading {name}…", "Đang đọc {name}…"],
  uploading: [
    "This browser cannot read {name}; the server does, and shows the text when it is done…",
    "Trình duyệt không đọc được {name}; máy chủ sẽ đọc và hiện văn bản khi xong…",
  ],
  noSpeech: ["No speech was found in {name}.", "Không tìm thấy tiếng nói trong {name}."],
  refusedFile: ["{name} was refused: {why}", "{name} bị từ chối: {why}"],
  failedFile: ["{name}: {why}", "{name}: {why}"],
  noFile: [
    "Drop an audio or video file here. Text and links have no sound.",
    "Hãy thả tệp âm thanh hoặc video vào đây. Chữ và liên kết không có âm thanh.",
  ],
  replace: [
    "The text on this page has not been copied or downloaded. Replace it?",
    "Văn bản trên trang chưa được sao chép hay tải xuống. Thay thế nó?",
  ],
  copied: ["Copied.", "Đã sao chép."],
  cannotCopy: [
    "The browser does not let this page copy. Select the text and copy it, or download it.",
    "Trình duyệt không cho trang này sao chép. Hãy tự chọn văn bản rồi sao chép, hoặc tải xuống.",
  ],
  noSound: ["The sound of this word is no longer kept.", "Âm thanh của từ này không còn được giữ."],

  // errors
  noServer: [
    REASONS.noServer,
    "Máy chủ không trả lời. Máy chủ có đang chạy không? Hãy thử lại khi nó chạy.",
  ],
  noWebSocket: [
    REASONS.noWebSocket,
    "Máy chủ có trả lời nhưng WebSocket không đi qua được. Có thể một proxy ở giữa đã chặn WebSocket.",
  ],
  full: [REASONS.full, "Máy chủ đang đầy. Hãy thử lại sau giây lát."],
  whenFree: ["Start when there is room", "Bắt đầu khi có chỗ"],
  waits: ["Waiting for room on the server…", "Đang chờ máy chủ có chỗ…"],
  doNotWait: ["Do not wait", "Không chờ nữa"],
  refusedStream: [REASONS.refusedStream, "Máy chủ từ chối luồng âm thanh (HTTP {status})."],
  closedStream: [REASONS.closedStream, "Máy chủ đã đóng luồng âm thanh."],
  notAllowed: [
    "The browser was not allowed to use the microphone. Allow it in the site settings beside the address, then press Start again; or choose a file.",
    "Trình duyệt chưa được phép dùng micrô. Hãy cho phép trong cài đặt trang web cạnh thanh địa chỉ rồi nhấn Bắt đầu; hoặc chọn một tệp.",
  ],
  notShared: [
    "Nothing was shared. Press Start again and choose a tab or a screen with its sound.",
    "Chưa chia sẻ gì. Hãy nhấn Bắt đầu lần nữa rồi chọn một thẻ hoặc màn hình kèm âm thanh.",
  ],
  silentShare: [
    "What was shared has no sound. Press Start again, choose a tab, and switch on its sound in the browser's dialog.",
    "Nội dung chia sẻ không có âm thanh. Hãy nhấn Bắt đầu lần nữa, chọn một thẻ và bật chia sẻ âm thanh trong hộp thoại.",
  ],
  notFound: [
    "No microphone was found. Plug one in and press Start again, or choose a file.",
    "Không tìm thấy micrô. Hãy cắm micrô rồi nhấn Bắt đầu, hoặc chọn một tệp.",
  ],
  notThere: [
    "The chosen microphone is not there. Plug it in, or choose another one in the settings.",
    "Không thấy micrô đã chọn. Hãy cắm lại hoặc chọn micrô khác trong phần cài đặt.",
  ],
  notReadable: [
    "The microphone cannot be read; perhaps another program holds it. Close that, then press Start again.",
    "Không đọc được micrô; có thể chương trình khác đang dùng. Hãy đóng chương trình đó rồi nhấn Bắt đầu.",
  ],
  insecure: [
    "The browser gives the microphone only to pages from localhost or https. Open the page that way, or choose a file.",
    "Trình duyệt chỉ cho dùng micrô trên trang localhost hoặc https. Hãy mở trang bằng địa chỉ như vậy, hoặc chọn một tệp.",
  ],
  notOpened: [REASONS.notOpened, "Không mở được micrô: {why}"],
  noWorklet: [REASONS.noWorklet, "Trình duyệt không xử lý được âm thanh từ micrô: {why}"],
  unreadableFile: [REASONS.unreadableFile, "Không đọc được {name}: {why}"],
};
