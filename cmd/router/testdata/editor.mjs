// Asks taplo's language server, which Even Better TOML runs in VS Code, about a file:
//   node editor.mjs NODE_MODULES FILE   with [{"method", "line", "character"}, …] on stdin
// and prints its answers as JSON, those to completions as lists of what is offered.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const [modules, file] = process.argv.slice(2);
const { TaploLsp } = createRequire(path.join(modules, "x.js"))("@taplo/lsp");
const questions = JSON.parse(fs.readFileSync(0, "utf8"));
const uri = pathToFileURL(file).href;
const folder = path.dirname(file);
const first = 100; // number of the first question

const environment = {
  now: () => new Date(),
  envVar: () => undefined,
  envVars: () => [],
  stdErrAtty: () => false,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  glob: () => [],
  readFile: async (name) => new Uint8Array(fs.readFileSync(name)),
  writeFile: async () => {},
  urlToFilePath: (url) => fileURLToPath(url),
  isAbsolute: (name) => path.isAbsolute(name),
  cwd: () => folder,
  findConfigFile: () => undefined,
};
globalThis.fetch = async () => { throw new Error("tests have no network"); }; // it would ask for a catalogue of schemas

const answers = [];
let asked = false;
const send = (message) => server.send({ jsonrpc: "2.0", ...message });

function ask() {
  asked = true;
  questions.forEach(({ method, line, character }, i) =>
    send({ id: first + i, method: "textDocument/" + method, params: { textDocument: { uri }, position: { line, character } } }));
}

function answer(i, result) {
  answers[i] = Array.isArray(result) ? result.map((item) => item.label) : result?.contents?.value ?? null;
  if (Object.keys(answers).length === questions.length) {
    fs.writeSync(1, JSON.stringify(answers));
    process.exit(0);
  }
}

function onMessage({ id, method, result }) {
  if (id === 1) {
    send({ method: "initialized", params: {} });
    send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "toml", version: 1, text: fs.readFileSync(file, "utf8") } } });
  } else if (method && id !== undefined) {
    send({ id, result: method === "workspace/configuration" ? [null] : null });
  } else if (method === "textDocument/publishDiagnostics" && !asked) {
    ask(); // it has read the file and its schema
  } else if (id >= first) {
    answer(id - first, result);
  }
}

const server = await TaploLsp.initialize(environment, { onMessage });
send({
  id: 1, method: "initialize",
  params: { processId: null, rootUri: pathToFileURL(folder).href, workspaceFolders: [{ uri: pathToFileURL(folder).href, name: "routes" }], capabilities: {} },
});
