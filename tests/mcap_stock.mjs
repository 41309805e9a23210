// node tests/mcap_stock.mjs FILE: reads a recording with the stock reader of npm (@mcap/core), streamed with every CRC
// checked and once more by its index, and says what was in it as one line of JSON. Fails on whatever the reader does not like.
import { open, readFile } from "node:fs/promises";
import { McapIndexedReader, McapStreamReader } from "@mcap/core";
import { decompress } from "fzstd";

const path = process.argv[2];
const decompressHandlers = { zstd: (data) => decompress(data) };
const text = new TextDecoder();

function schemaHolds(schema, value, where) {
  if (schema.type === "object") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${where}: no object`);
    for (const [key, inner] of Object.entries(schema.properties ?? {}))
      if (key in value) schemaHolds(inner, value[key], `${where}.${key}`);
    for (const key of Object.keys(value))
      if (schema.properties && !(key in schema.properties)) throw new Error(`${where}: ${key} is not in the schema`);
  } else if (schema.type === "array") {
    if (!Array.isArray(value)) throw new Error(`${where}: no array`);
    value.forEach((item, i) => schemaHolds(schema.items, item, `${where}[${i}]`));
  } else if (schema.type === "integer") {
    if (!Number.isInteger(value)) throw new Error(`${where}: no integer: ${value}`);
  } else if (value !== null && typeof value !== schema.type) throw new Error(`${where}: no ${schema.type}: ${value}`);
}

function check(schemas, channel, message, counts) {
  const schema = schemas.get(channel.schemaId);
  if (channel.messageEncoding !== "json" || schema.encoding !== "jsonschema") throw new Error("not JSON");
  const value = JSON.parse(text.decode(message.data));
  schemaHolds(JSON.parse(text.decode(schema.data)), value, channel.topic);
  if (schema.name === "foxglove.CompressedImage") {
    const picture = Buffer.from(value.data, "base64");
    if (picture[0] !== 0xff || picture[1] !== 0xd8) throw new Error("no JPEG");
  }
  counts[channel.topic] = (counts[channel.topic] ?? 0) + 1;
}

async function streamed() {
  const reader = new McapStreamReader({ validateCrcs: true, decompressHandlers });
  const channels = new Map(), schemas = new Map(), counts = {}, metadata = {};
  let attachments = 0, unknown = 0;
  reader.append(await readFile(path));
  for (let record; (record = reader.nextRecord()); ) {
    if (record.type === "Schema") schemas.set(record.id, record);
    else if (record.type === "Channel") channels.set(record.id, record);
    else if (record.type === "Message") check(schemas, channels.get(record.channelId), record, counts);
    else if (record.type === "Metadata") metadata[record.name] = Object.fromEntries(record.metadata);
    else if (record.type === "Attachment") attachments++;
    else if (record.type === "Unknown") unknown++;
  }
  if (!reader.done()) throw new Error("the file breaks off");
  return { counts, metadata, attachments, unknown };
}

async function indexed() {
  const file = await open(path);
  const readable = {
    size: async () => BigInt((await file.stat()).size),
    read: async (offset, length) => {
      const buffer = new Uint8Array(Number(length));
      await file.read({ buffer, position: Number(offset) });
      return buffer;
    },
  };
  const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers });
  const counts = {};
  let last = 0n;
  for await (const message of reader.readMessages()) {
    if (message.logTime < last) throw new Error("not in the order of time");
    last = message.logTime;
    check(reader.schemasById, reader.channelsById.get(message.channelId), message, counts);
  }
  const total = Object.values(counts).reduce((a, b) => a + b, 0);
  if (BigInt(total) !== reader.statistics.messageCount) throw new Error("statistics and messages do not agree");
  for await (const attachment of reader.readAttachments()) if (!attachment.data.length) throw new Error("empty attachment");
  await file.close();
  return counts;
}

const all = await streamed();
const byIndex = await indexed();
if (JSON.stringify(Object.entries(all.counts).sort()) !== JSON.stringify(Object.entries(byIndex).sort()))
  throw new Error("stream and index do not agree");
console.log(JSON.stringify(all));
