import http.server, os, ssl, sys, threading, time
folder = sys.argv[1]
class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    limited = 0
    def log_message(self, *words): pass
    def whole(self, status, body, **fields):
        self.send_response(status)
        for name, value in fields.items(): self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        else:
            self.whole(200, b"hello")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/limited":
            Server.limited += 1
            if Server.limited % 2: self.whole(429, b"{}", Retry_After="1")
            else: self.whole(200, b"{}")
        elif self.path == "/v1/messages":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            def chunk(data): self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            for number in range(5):
                chunk(b'data: {"token":%d}\n\n' % number)
                time.sleep(0.02)
            chunk(b"data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.whole(200, b"hello")
def serve(context):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    if context: server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
ports = f"{serve(context)} {serve(None)}"
with open(folder + "/ports.new", "w") as file: file.write(ports)
os.rename(folder + "/ports.new", folder + "/ports")
time.sleep(600)
