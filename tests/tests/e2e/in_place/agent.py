"""A model's API that speaks TLS, and an agent that asks it: `server CERT KEY`, `agent PORT`, `child PORT`.

The server says its port. The agent makes one request for each line of JSON that it is told, and says what came of it as JSON:
`by` is how it reads (`client` by Python's own client, `plain` by SSL_read of the same library), `room` how much it reads at
once, `path`, `stream` and `first` what it asks. `child` is an agent that has a child of its own ask, once."""

import ctypes
import http.client
import http.server
import json
import re
import socket
import ssl
import subprocess
import sys
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
        self.wfile.write((head % (kind, len(body))).encode() + body)
        self.wfile.flush()

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


def by_client(port, asked):
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        body = json.dumps({"model": "big-1", "stream": asked["stream"]})
        if asked["first"]:
            connection.request("POST", "/v1/other", body, {"content-type": "application/json"})
            connection.getresponse().read()
        connection.request("POST", asked["path"], body, {"content-type": "application/json"})
        answer = connection.getresponse()
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
        body = json.dumps({"model": "big-1", "stream": asked["stream"]})
        request = "POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s" % (asked["path"], len(body), body)
        text = request.encode()
        assert lib.SSL_write(session, text, len(text)) == len(text)
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


def agent(port):
    print("ready", flush=True)
    for line in sys.stdin:
        asked = {"by": "client", "room": 16384, "path": "/v1/chat/completions", "stream": False, "first": False}
        asked.update(json.loads(line))
        try:
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
    time.sleep(0.5)
    asked = {"stream": False, "first": False, "path": "/v1/chat/completions"}
    print(json.dumps(by_client(int(port), asked)), flush=True)


{"server": server, "agent": agent, "child": child, "late": late}[sys.argv[1]](*sys.argv[2:])
