// Stock TUF from npm, on both sides of ours:
//
//   node stock.mjs get METADATA_URL TARGETS_URL ROOT.json DIR PATH…   a tuf-js client, which knows only ROOT.json or what it has in DIR;
//                                                                     prints {"versions": {role: version}, "targets": {path: content or null}}
//   node stock.mjs serve NAME=CONTENT…                                @tufjs/repo-mock's repository on a loopback port, until stdin ends;
//                                                                     prints {"url": …, "root": {…}}
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

async function get([metadataBaseUrl, targetBaseUrl, root, dir, ...paths]) {
  const { Updater } = require("tuf-js");
  const metadataDir = path.join(dir, "metadata"), targetDir = path.join(dir, "targets");
  for (const each of [metadataDir, targetDir]) fs.mkdirSync(each, { recursive: true });
  if (!fs.existsSync(path.join(metadataDir, "root.json"))) fs.copyFileSync(root, path.join(metadataDir, "root.json"));
  const updater = new Updater({ metadataDir, metadataBaseUrl, targetDir, targetBaseUrl });
  await updater.refresh();
  const result = { versions: {}, targets: {} };
  for (const each of paths) {
    const target = await updater.getTargetInfo(each);
    result.targets[each] = target ? fs.readFileSync(await updater.downloadTarget(target), "utf8") : null;
  }
  for (const role of ["root", "timestamp", "snapshot", "targets"])
    result.versions[role] = JSON.parse(fs.readFileSync(path.join(metadataDir, `${role}.json`))).signed.version;
  console.log(JSON.stringify(result));
}

function serve(pairs) {
  const { initializeTUFRepo, tufHandlers } = require("@tufjs/repo-mock");
  const targets = pairs.map((pair) => ({ name: pair.split("=")[0], content: pair.slice(pair.indexOf("=") + 1) }));
  const repo = initializeTUFRepo(targets);
  const handlers = new Map(tufHandlers(repo, {}).map((handler) => [handler.path, handler.fn]));
  const server = http.createServer((request, response) => {
    const { statusCode, response: body } = handlers.get(decodeURIComponent(request.url))?.() ?? { statusCode: 404, response: "" };
    response.writeHead(statusCode).end(body);
  });
  server.listen(0, "127.0.0.1", () =>
    console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, root: repo.rootMeta.toJSON() })));
  process.stdin.on("end", () => process.exit(0)).resume();
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === "get") await get(rest);
else if (verb === "serve") serve(rest);
else throw new Error("say get or serve");
