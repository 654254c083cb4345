// One call by a client of the package registry: `CLIENT PORT whole|stream SECONDS`. It says what came of it as JSON.
//
// SECONDS is the client's own deadline; all else is as the client has it where nothing is said.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are in the folder of the command, not beside this file.
const at = createRequire(`${process.cwd()}/`);
const load = (name) => import(pathToFileURL(at.resolve(name)).href);

const [name, port, way, seconds] = process.argv.slice(2);
const base = `http://127.0.0.1:${port}`;
const stream = way === "stream";
const timeout = Number(seconds) * 1000;
const messages = [{ role: "user", content: "hi" }];

const clients = {
  async openai() {
    const { default: OpenAI } = await load("openai");
    const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", timeout });
    return async () => {
      const answer = await client.chat.completions.create({ model: "big-1", messages, stream });
      if (!stream) return [answer.choices[0].message.content, answer.model];
      let [text, model] = ["", null];
      for await (const piece of answer) {
        model = piece.model;
        text += piece.choices[0].delta.content ?? "";
      }
      return [text, model];
    };
  },
  async anthropic() {
    const { default: Anthropic } = await load("@anthropic-ai/sdk");
    const client = new Anthropic({ baseURL: base, apiKey: "none", timeout });
    return async () => {
      const asked = { model: "big-1", max_tokens: 9, messages };
      const answer = stream ? await client.messages.stream(asked).finalMessage() : await client.messages.create(asked);
      return [answer.content.map((block) => block.text).join(""), answer.model];
    };
  },
  async mcp() {
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return async () => {
      const client = new Client({ name: "asker", version: "1" });
      await client.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp`)));
      await client.listTools();
      const call = { name: "add", arguments: { a: 1, b: 2 } };
      const answer = await client.callTool(call, undefined, { timeout });
      const texts = answer.content.map((block) => block.text).join("");
      return [(answer.isError ? "isError: " : "") + texts, null];
    };
  },
};

const call = await clients[name]();
const began = performance.now();
let came;
try {
  const [returned, model] = await call();
  came = { returned, model };
} catch (error) {
  console.error(error);
  const code = typeof error.code === "number" ? ` ${error.code}` : "";
  came = { raised: error.constructor.name + code };
}
const package_ = { openai: "openai", anthropic: "@anthropic-ai/sdk", mcp: "@modelcontextprotocol/sdk" }[name];
came.version = JSON.parse(readFileSync(`node_modules/${package_}/package.json`)).version;
came.ms = Math.round(performance.now() - began);
console.log(JSON.stringify(came));
process.exit(0);
