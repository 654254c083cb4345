"""A model's API that speaks TLS, and an agent that asks it: `server CERT KEY`, `agent PORT`, `child PORT`.

The server says its port. The agent makes one request for each line of JSON that it is told, and says what came of it as JSON:
`by` is how it reads (`client` by Python's own client, `plain` by SSL_read of the same library, `asyncio` by its streams, which it
reads to their end), `room` how much it reads at once, `path`, `stream` and `first` what it asks. With `thread` another thread
reads than has written, with `abandon` one request before goes unread. The server answers in two records to `pieces`, and says
first that it goes on to `interim`. `child` is an agent that has a child of its own ask, once."""

import asyncio
import ctypes
import http.client
import http.server
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

LONG = "the model's own answer " * 60


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served = 0

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Answers.served += 1
        streams = asked.get("stream")
        told = {"served": Answers.served, "model": "big-1", "choices": [{"message": {"content": LONG}}]}
        body = json.dumps(told).encode()
        if streams:
            body = b"data: " + body + b"\n\ndata: [DONE]\n\n"
        head = "HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
        kind = "text/event-stream" if streams else "application/json"
        answer = (head % (kind, len(body))).encode() + body
        if asked.get("interim"):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts = [answer[:200], answer[200:]] if asked.get("pieces") else [answer]
        for part in parts:
            self.wfile.write(part)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


def server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    serving = Server(("127.0.0.1", 0), Answers)
    serving.socket = context.wrap_socket(serving.socket, server_side=True, do_handshake_on_connect=False)
    print(serving.server_port, flush=True)
    serving.serve_forever()


def told(status, fields, body):
    error = {}
    try:
        read = json.loads(body)
        error = read.get("error", {})
        kind = "json"
    except ValueError:
        read = {}
        kind = "stream" if b"[DONE]" in body else "broken"
    return {
        "status": status,
        "body": kind,
        "served": read.get("served"),
        "error_type": error.get("type"),
        "retry_after": fields.get("retry-after"),
        "length_fits": fields.get("content-length", "").strip() == str(len(body)),
        "closes": fields.get("connection") == "close",
        "content": str(read.get("choices", [{}])[0].get("message", {}).get("content"))[:20],
    }


def content(asked):
    return json.dumps({"model": "big-1", **{key: asked[key] for key in ("stream", "interim", "pieces")}})


def by_client(port, asked):
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        body = content(asked)
        if asked["first"]:
            connection.request("POST", "/v1/other", body, {"content-type": "application/json"})
            connection.getresponse().read()
        connection.request("POST", asked["path"], body, {"content-type": "application/json"})
        answers = []
        read = lambda: answers.append(connection.getresponse())
        if asked["thread"]:
            reader = threading.Thread(target=read)
            reader.start()
            reader.join()
        else:
            read()
        answer = answers[0]
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return told(answer.status, fields, answer.read())
    finally:
        connection.close()


def library():
    with open("/proc/self/maps") as maps:
        found = re.search(r"(/\S*libssl\S*)", maps.read())
    lib = ctypes.CDLL(found.group(1))
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def by_plain(port, asked):
    lib = library()
    pointer = ctypes.c_void_p
    context = pointer(lib.SSL_CTX_new(pointer(lib.TLS_client_method())))
    session = pointer(lib.SSL_new(context))
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.settimeout(None)
        lib.SSL_set_fd(session, connection.fileno())
        assert lib.SSL_connect(session) == 1
        body = content(asked)
        request = "POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s" % (asked["path"], len(body), body)
        text = request.encode()
        assert lib.SSL_write(session, text, len(text)) == len(text)
        if asked["abandon"]:
            lib.SSL_free(session)
            return by_plain(port, {**asked, "abandon": False})
        room = ctypes.create_string_buffer(asked["room"])
        read = b""
        while True:
            count = lib.SSL_read(session, room, asked["room"])
            if count <= 0:
                break
            read += room.raw[:count]
            head, _, body = read.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = dict(line.lower().split(":", 1) for line in lines[1:] if ":" in line)
            fields = {name: value.strip() for name, value in fields.items()}
            if b"\r\n\r\n" in read and len(body) >= int(fields["content-length"]):
                break
        lib.SSL_free(session)
    return told(int(lines[0].split(" ")[1]), fields, body)


async def by_asyncio(port, asked):
    context = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    body = content(asked)
    request = "POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s" % (asked["path"], len(body), body)
    writer.write(request.encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    fields = {name: value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
    body = await reader.readexactly(int(fields["content-length"]))
    surplus = 0
    try:
        surplus = len(await asyncio.wait_for(reader.read(1 << 16), 1))
    except TimeoutError:
        pass
    writer.transport.abort()
    return {**told(int(head[0].split(" ")[1]), fields, body), "surplus": surplus}


ASKED = {
    "by": "client",
    "room": 16384,
    "path": "/v1/chat/completions",
    "stream": False,
    "first": False,
    "thread": False,
    "abandon": False,
    "interim": False,
    "pieces": False,
}


def agent(port):
    print("ready", flush=True)
    for line in sys.stdin:
        asked = {**ASKED, **json.loads(line)}
        try:
            if asked["by"] == "asyncio":
                came = asyncio.run(by_asyncio(int(port), asked))
            else:
                came = (by_plain if asked["by"] == "plain" else by_client)(int(port), asked)
        except (OSError, http.client.HTTPException) as error:
            came = {"error": type(error).__name__}
        print(json.dumps(came), flush=True)


def child(port):
    """Its child begins later, and waits until it can be attached to."""
    print("ready", flush=True)
    for _ in sys.stdin:
        program = [sys.executable, "-c", sys.orig_argv[2], "late", port]
        print(subprocess.run(program, capture_output=True, text=True).stdout.strip(), flush=True)


def late(port):
    # The last function that is attached to; its text has a breakpoint then.
    text = ctypes.cast(library().SSL_free, ctypes.c_void_p).value
    until = time.monotonic() + 10
    while ctypes.string_at(text, 1) != b"\xcc" and time.monotonic() < until:
        time.sleep(0.01)
    print(json.dumps(by_client(int(port), ASKED)), flush=True)


{"server": server, "agent": agent, "child": child, "late": late}[sys.argv[1]](*sys.argv[2:])
