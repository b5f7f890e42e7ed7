// A transcript as a Word document (Office Open XML, ECMA-376): a ZIP archive of three small files, not compressed. The
// text is on this device only, so the document is made here: a library would be a hundred times as large as this.

import { joined } from "./transcript.js";
import { clock } from "./view.js";

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Little-endian numbers: [bytes, value] each. */
function packed(...fields) {
  const out = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) out.setUint16(at, value, true);
    else out.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(out.buffer);
}

const FIRST_DAY = (1 << 5) | 1; // 1 January 1980: ZIP has no "unknown"

/** A ZIP archive (PKWARE's APPNOTE, 4.3) of {name: text}; names are ASCII. */
function zip(files) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const [name, text] of Object.entries(files)) {
    const [path, bytes] = [name, text].map((part) => new TextEncoder().encode(part));
    const common = [[2, 20], [2, 0], [2, 0], [2, 0], [2, FIRST_DAY], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, path.length], [2, 0]];
    parts.push(packed([4, 0x04034b50], ...common), path, bytes);
    directory.push(packed([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), path);
    at += 30 + path.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = Object.keys(files).length;
  return [...parts, ...directory, packed([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0])];
}

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
const PACKAGE = "http://schemas.openxmlformats.org/package/2006";
const OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";

// XML 1.0 has no other control characters, and no lone surrogates.
const inXml = (text) =>
  text
    .replace(/\p{Cs}/gu, "\ufffd")
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

const run = (text, properties) => `<w:r><w:rPr>${properties}</w:rPr><w:t xml:space="preserve">${inXml(text)}</w:t></w:r>`;

function paragraphXml(words, language) {
  const time = run(`${clock(words[0].start)}  `, '<w:color w:val="66665F"/><w:sz w:val="18"/>');
  const spoken = run(joined(words).trim(), language ? `<w:lang w:val="${inXml(language)}"/>` : "");
  return `<w:p><w:pPr><w:spacing w:after="160"/></w:pPr>${time}${spoken}</w:p>`;
}

/** The parts of a document with a title, and each paragraph of the finals behind its time. `language`: a code, or "". */
export function toDocx(finals, { title, language }) {
  const paragraphs = [];
  for (const { words, paragraph } of finals) {
    if (paragraph || !paragraphs.length) paragraphs.push([]);
    paragraphs.at(-1).push(...words);
  }
  const heading = `<w:p><w:pPr><w:spacing w:after="240"/></w:pPr>${run(title, '<w:b/><w:sz w:val="32"/>')}</w:p>`;
  const body = heading + paragraphs.map((words) => paragraphXml(words, language)).join("");
  return zip({
    "[Content_Types].xml": `${HEAD}<Types xmlns="${PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="${MAIN}"/></Types>`,
    "_rels/.rels": `${HEAD}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="r1" Type="${OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>`,
    "word/document.xml": `${HEAD}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${body}<w:sectPr/></w:body></w:document>`,
  });
}
