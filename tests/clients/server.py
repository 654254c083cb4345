"""Model APIs and a tool for clients from package registries: OpenAI's, Anthropic's and Gemini's calls for chats, whole and in
streams, and MCP over HTTP. It says its port, then one line for each request that it gets: its path."""

import http.server
import json
import time

WORDS = ["one ", "two ", "three ", "four "]
TEXT = "".join(WORDS)


def openai(asked):
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [choice],
        "usage": usage,
    }


def openai_pieces(asked):
    def piece(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        return "data: " + json.dumps(head | {"choices": [choice]}) + "\n\n"

    yield piece({"role": "assistant", "content": ""})
    for word in WORDS:
        yield piece({"content": word})
    yield piece({}, "stop")
    yield "data: [DONE]\n\n"


def anthropic(asked, content=({"type": "text", "text": TEXT},), reason="end_turn"):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 4},
    }


def anthropic_pieces(asked):
    def piece(kind, **more):
        return f"event: {kind}\ndata: " + json.dumps({"type": kind} | more) + "\n\n"

    yield piece("message_start", message=anthropic(asked, (), None))
    yield piece("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in WORDS:
        yield piece("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield piece("content_block_stop", index=0)
    yield piece("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 4})
    yield piece("message_stop")


def gemini(text=TEXT, reason="STOP"):
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "big-1"}


def gemini_pieces(_asked):
    for place, word in enumerate(WORDS):
        yield "data: " + json.dumps(gemini(word, "STOP" if place == 3 else None)) + "\r\n\r\n"


def tool(asked):
    if "id" not in asked:
        return None
    match asked["method"]:
        case "initialize":
            server = {"name": "adder", "version": "1"}
            version = asked["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
            out = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
            result = {"tools": [{"name": "add", "inputSchema": schema, "outputSchema": out}]}
        case "tools/call":
            given = asked["params"]["arguments"]
            total = given["a"] + given["b"]
            text = {"type": "text", "text": f"the sum is {total}"}
            result = {"content": [text], "structuredContent": {"sum": total}, "isError": False}
        case _:
            error = {"code": -32601, "message": "no such method"}
            return {"jsonrpc": "2.0", "id": asked["id"], "error": error}
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(json.dumps({"path": self.path, "method": asked.get("method")}), flush=True)
        if self.path == "/mcp":
            self.whole(tool(asked))
        elif self.path.endswith("/messages"):
            self.told(asked.get("stream"), anthropic, anthropic_pieces, asked)
        elif "enerateContent" in self.path:
            self.told("stream" in self.path, lambda _: gemini(), gemini_pieces, asked)
        else:
            self.told(asked.get("stream"), openai, openai_pieces, asked)

    def do_GET(self):
        self.send_error(405)

    def do_DELETE(self):
        self.whole(None)

    def told(self, is_stream, whole, pieces, asked):
        if not is_stream:
            return self.whole(whole(asked))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in pieces(asked):
            time.sleep(0.01)
            data = piece.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def whole(self, answer):
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(202 if answer is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


serving = Server(("127.0.0.1", 0), Answers)
print(serving.server_port, flush=True)
serving.serve_forever()
