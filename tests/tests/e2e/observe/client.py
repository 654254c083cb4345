import http.client, json, ssl, subprocess, sys, time
tls, plain, mode, secret, rounds = sys.argv[1:]
context = ssl._create_unverified_context()
fields = {"Authorization": "Bearer " + secret, "X-Api-Key": secret, "Content-Type": "application/json"}
def connect(): return http.client.HTTPSConnection("127.0.0.1", int(tls), context=context)
def post(connection, path, **body):
    connection.request("POST", path, json.dumps(body), fields)
    connection.getresponse().read()
def all():
    connection = connect()
    message = [{"role": "user", "content": (secret + " ") * 2000}]
    post(connection, "/v1/chat/completions?key=" + secret, messages=message, model="gpt-4o")
    post(connection, "/v1/messages", model="claude", stream=True, text=secret)
    while True:
        connection.request("POST", "/v1/limited", json.dumps({"model": "m"}), fields)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200: break
        time.sleep(0.1)
    connection.close()
    connection = connect()
    connection.request("GET", "/cut", headers=fields)
    try: connection.getresponse().read()
    except http.client.IncompleteRead: pass
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", int(plain))
    connection.request("GET", "/plain", headers=fields)
    connection.getresponse().read()
    connection.close()
def child():
    time.sleep(0.4)
    connection = connect()
    connection.request("GET", "/child", headers=fields)
    connection.getresponse().read()
if mode == "child":
    child()
    sys.exit()
source = sys.orig_argv[2]
while True:
    if mode == "all": all()
    else: subprocess.run([sys.executable, "-c", source, tls, plain, "child", secret, rounds])
    with open(rounds, "a") as file: file.write(".")
    time.sleep(0.05)
