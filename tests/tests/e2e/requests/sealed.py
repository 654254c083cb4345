"""A model's API that speaks TLS, and a client of it: `server CERT KEY [CLIENTS]`, `client PORT TRUSTED [CERT KEY]`. Where CLIENTS is
said, the server wants a certificate of those.

The server says its port, then one line for each request that it gets. The client makes one request for each line that it
is told, on a connection of its own, and says what came of it as JSON."""

import http.client
import http.server
import json
import ssl
import sys


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print(self.path, flush=True)
        body = json.dumps({"model": "big-1", "choices": [{"message": {"content": "all well"}}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass


def server(certificate, key, clients=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    serving = Server(("127.0.0.1", 0), Answers)
    serving.socket = context.wrap_socket(serving.socket, server_side=True, do_handshake_on_connect=False)
    print(serving.server_port, flush=True)
    serving.serve_forever()


def ask(port, context):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.connect()
        issuer = dict(pair[0] for pair in connection.sock.getpeercert()["issuer"])
        body = json.dumps({"model": "big-1", "messages": []})
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return {
            "status": answer.status,
            "issuer": issuer["commonName"],
            "retry_after": answer.headers["retry-after"],
            "kind": told.get("error", {}).get("type"),
            "peer": connection.sock.getpeername()[1],
        }
    except (OSError, http.client.HTTPException) as error:
        return {"error": type(error).__name__}
    finally:
        connection.close()


def client(port, trusted, *own):
    context = ssl.create_default_context(cafile=trusted)
    if own:
        context.load_cert_chain(*own)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(ask(int(port), context)), flush=True)


{"server": server, "client": client}[sys.argv[1]](*sys.argv[2:])
