// An independent verifier of Muster's audit log: nothing but what Node.js brings, written from RFC 9162 and the C2SP pages (signed-note,
// tlog-checkpoint, tlog-tiles, tlog-proof), not from Muster's code.
//
//   node audit_verify.mjs log DIR VKEY               a log of static files: signature, every tile, every entry, root
//   node audit_verify.mjs proof FILE VKEY            a tlog-proof with its entry; prints the entry
//   node audit_verify.mjs consistency OLD NEW JSON VKEY     two signed checkpoints and the proof ("consistency") between them
import { createHash, createPublicKey, verify } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const fail = (why) => { throw new Error(why); };
const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const leafHash = (entry) => sha256(Buffer.of(0), entry);
const nodeHash = (l, r) => sha256(Buffer.of(1), l, r);
const base64 = (text) => {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : fail(`not base64: ${text}`);
};

// ---- signed notes ----

function parseKey(vkey) {
  const [name, hash, ...rest] = vkey.split("+"); // base64 has + as well
  const key = base64(rest.join("+"));
  if (key.length !== 33 || key[0] !== 1) fail("the key is not Ed25519");
  const id = sha256(Buffer.from(`${name}\n`), key).subarray(0, 4);
  if (id.toString("hex") !== hash) fail("the key does not fit its hash");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key.subarray(1)]);
  return { name, id, key: createPublicKey({ key: spki, format: "der", type: "spki" }) };
}

function openCheckpoint(note, vkey) {
  const { name, id, key } = parseKey(vkey);
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n")) fail("the checkpoint is no signed note");
  const text = note.slice(0, end + 1);
  const signed = note.slice(end + 2, -1).split("\n").some((line) => {
    const match = /^\u2014 (\S+) (\S+)$/u.exec(line);
    if (!match || match[1] !== name) return false;
    const sig = Buffer.from(match[2], "base64");
    return sig.length === 68 && sig.toString("base64") === match[2] && sig.subarray(0, 4).equals(id) && verify(null, Buffer.from(text), key, sig.subarray(4));
  });
  if (!signed) fail("the checkpoint is not signed with this key");
  const [origin, size, root] = text.split("\n");
  if (origin !== name || !/^(0|[1-9]\d*)$/.test(size)) fail("the checkpoint is malformed");
  return { origin, size: Number(size), root: base64(root) };
}

// ---- proofs ----

function rootOfInclusion(leaf, index, size, path) {
  let fn = BigInt(index), sn = BigInt(size) - 1n, r = leaf;
  if (fn > sn) fail("no such entry");
  for (const p of path) {
    if (sn === 0n) fail("the proof is too long");
    if (fn & 1n || fn === sn) {
      r = nodeHash(p, r);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else r = nodeHash(r, p);
    fn >>= 1n; sn >>= 1n;
  }
  return sn === 0n ? r : fail("the proof is too short");
}

function checkConsistency(first, second, path) {
  if (first.size > second.size) fail("the log has shrunk");
  if (first.size === second.size) {
    if (path.length || !first.root.equals(second.root)) fail("two logs of one size");
    return;
  }
  if (first.size === 0) return;
  const [start, ...rest] = Math.log2(first.size) % 1 === 0 ? [first.root, ...path] : path;
  if (!start) fail("the proof is too short");
  let fn = BigInt(first.size) - 1n, sn = BigInt(second.size) - 1n, fr = start, sr = start;
  while (fn & 1n) { fn >>= 1n; sn >>= 1n; }
  for (const c of rest) {
    if (sn === 0n) fail("the proof is too long");
    if (fn & 1n || fn === sn) {
      fr = nodeHash(c, fr); sr = nodeHash(c, sr);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else sr = nodeHash(sr, c);
    fn >>= 1n; sn >>= 1n;
  }
  if (sn !== 0n || !fr.equals(first.root) || !sr.equals(second.root)) fail("the proof does not hold");
}

// ---- static files ----

const tilePath = (kind, index, width) => {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, "0").match(/.../g);
  const name = digits.map((d, i) => (i < digits.length - 1 ? `x${d}` : d)).join("/");
  return `tile/${kind}/${name}${width < 256 ? `.p/${width}` : ""}`;
};

function* tiles(count) {
  for (let i = 0; i * 256 < count; i++) yield [i, Math.min(256, count - i * 256)];
}

function rootOf(hashes) {
  if (hashes.length === 1) return hashes[0];
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return nodeHash(rootOf(hashes.slice(0, k)), rootOf(hashes.slice(k)));
}

function readEntries(dir, size) {
  const entries = [];
  for (const [index, width] of tiles(size)) {
    const bundle = readFileSync(join(dir, tilePath("entries", index, width)));
    let at = 0;
    for (let i = 0; i < width; i++) {
      const len = bundle.readUInt16BE(at);
      if (at + 2 + len > bundle.length) fail(`bundle ${index} is cut off`);
      entries.push(bundle.subarray(at + 2, at + 2 + len));
      at += 2 + len;
    }
    if (at !== bundle.length) fail(`bundle ${index} has more in it`);
  }
  return entries;
}

function checkLog(dir, vkey) {
  const { size, root } = openCheckpoint(readFileSync(join(dir, "checkpoint"), "utf8"), vkey);
  let hashes = readEntries(dir, size).map(leafHash);
  const all = hashes;
  for (let level = 0; hashes.length; level++) {
    for (const [index, width] of tiles(hashes.length)) {
      const tile = readFileSync(join(dir, tilePath(level, index, width)));
      if (!tile.equals(Buffer.concat(hashes.slice(index * 256, index * 256 + width)))) fail(`tile ${level}/${index} is wrong`);
    }
    if (existsSync(join(dir, tilePath(level, Math.ceil(hashes.length / 256), 256)))) fail(`level ${level} has a tile too many`);
    hashes = Array.from({ length: Math.floor(hashes.length / 256) }, (_, i) => rootOf(hashes.slice(i * 256, i * 256 + 256)));
  }
  if (!rootOf(all).equals(root)) fail("the entries are not those that were signed");
  return `${size} entries`;
}

function checkProof(file, vkey) {
  const text = readFileSync(file, "utf8"), blank = text.indexOf("\n\n");
  const [magic, extra, index, ...path] = text.slice(0, blank).split("\n");
  if (magic !== "c2sp.org/tlog-proof@v1" || !extra.startsWith("extra ") || !/^index \d+$/.test(index)) fail("this is no proof");
  const { size, root } = openCheckpoint(text.slice(blank + 2), vkey), entry = base64(extra.slice(6));
  if (!rootOfInclusion(leafHash(entry), Number(index.slice(6)), size, path.map(base64)).equals(root)) fail("the proof does not hold");
  return entry.toString();
}

const read = (file) => readFileSync(file, "utf8");
const hashesOf = (file) => JSON.parse(read(file)).consistency.map((text) => Buffer.from(text.replace("sha256:", ""), "hex"));
const [what, ...args] = process.argv.slice(2);
try {
  if (what === "log") console.log(checkLog(args[0], args[1]));
  else if (what === "proof") console.log(checkProof(args[0], args[1]));
  else if (what === "consistency")
    checkConsistency(openCheckpoint(read(args[0]), args[3]), openCheckpoint(read(args[1]), args[3]), hashesOf(args[2]));
  else fail("log, proof or consistency?");
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
