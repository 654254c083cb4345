"""One call by a client of the package registry: `CLIENT PORT whole|stream SECONDS`. It says what came of it as JSON.

SECONDS is the client's own deadline; all else is as the client has it where nothing is said."""

import json
import os
import sys
import time
from importlib.metadata import version

ASKED = [{"role": "user", "content": "hi"}]


def of_pieces(answer):
    """Text and model of a stream in the shape of OpenAI's."""
    text, model = "", None
    for piece in answer:
        model = piece.model
        text += piece.choices[0].delta.content or ""
    return text, model


def openai(base, is_stream, seconds):
    from openai import OpenAI

    client = OpenAI(base_url=f"{base}/v1", api_key="none", timeout=seconds)
    yield
    answer = client.chat.completions.create(model="big-1", messages=ASKED, stream=is_stream)
    if not is_stream:
        yield answer.choices[0].message.content, answer.model
        return
    yield of_pieces(answer)


def anthropic(base, is_stream, seconds):
    from anthropic import Anthropic

    client = Anthropic(base_url=base, api_key="none", timeout=seconds)
    yield
    asked = {"model": "big-1", "max_tokens": 9, "messages": ASKED}
    if not is_stream:
        answer = client.messages.create(**asked)
    else:
        with client.messages.stream(**asked) as stream:
            answer = stream.get_final_message()
    yield "".join(block.text for block in answer.content), answer.model


def google_genai(base, is_stream, seconds):
    from google import genai

    options = genai.types.HttpOptions(base_url=base, timeout=int(seconds * 1000))
    client = genai.Client(api_key="none", http_options=options)
    yield
    if not is_stream:
        answer = client.models.generate_content(model="big-1", contents="hi")
        yield answer.text, answer.model_version
        return
    text, model = "", None
    for piece in client.models.generate_content_stream(model="big-1", contents="hi"):
        model = piece.model_version
        text += piece.text or ""
    yield text, model


def litellm(base, is_stream, seconds):
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm as client

    client.suppress_debug_info = True
    yield
    answer = client.completion(
        model="openai/big-1", messages=ASKED, api_base=f"{base}/v1", api_key="none", timeout=seconds, stream=is_stream
    )
    if not is_stream:
        yield answer.choices[0].message.content, answer.model
        return
    yield of_pieces(answer)


def langchain_openai(base, is_stream, seconds):
    from langchain_openai import ChatOpenAI

    client = ChatOpenAI(model="big-1", base_url=f"{base}/v1", api_key="none", timeout=seconds)
    yield
    if not is_stream:
        answer = client.invoke("hi")
        yield answer.content, answer.response_metadata.get("model_name")
        return
    text, model = "", None
    for piece in client.stream("hi"):
        model = piece.response_metadata.get("model_name") or model
        text += piece.content
    yield text, model


def mcp(base, _is_stream, seconds):
    import asyncio

    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def call():
        async with streamable_http_client(f"{base}/mcp") as streams:
            async with ClientSession(streams[0], streams[1], read_timeout_seconds=seconds) as session:
                await session.initialize()
                await session.list_tools()
                called.append(time.monotonic())
                answer = await session.call_tool("add", {"a": 1, "b": 2})
                return answer

    called = []
    yield
    answer = asyncio.run(call())
    texts = "".join(block.text for block in answer.content)
    yield ("isError: " if answer.is_error else "") + texts, None


def said(error):
    """The class; of a group of one, that one's."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    name = type(error).__name__
    home = type(error).__module__.split(".")[0]
    code = getattr(getattr(error, "error", None), "code", None)
    name = name if home in ("builtins", sys.argv[1].split("-")[0]) else f"{home}.{name}"
    return f"{name} {code}" if isinstance(code, int) else name


def main(client, port, way, seconds):
    call = {
        "openai": openai,
        "anthropic": anthropic,
        "google-genai": google_genai,
        "litellm": litellm,
        "langchain-openai": langchain_openai,
        "mcp": mcp,
    }[client](f"http://127.0.0.1:{port}", way == "stream", float(seconds))
    next(call)
    began = time.monotonic()
    try:
        text, model = next(call)
        came = {"returned": text, "model": model}
    except BaseException as error:  # noqa: BLE001 Whatever the client lets out is the answer.
        came = {"raised": said(error)}
        print(repr(error), file=sys.stderr)
    ms = int((time.monotonic() - began) * 1000)
    print(json.dumps(came | {"version": version(client), "ms": ms}), flush=True)


main(*sys.argv[1:])
