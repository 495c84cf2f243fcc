"""Run by the gateways' own Python: writes a tiny model and serves it with llama.cpp.

Its attention is random. What it says is fixed by one matrix, which makes the next token a function of the last one, and
by its chat template, which ends with a token that begins a tool call or an answer. Everything else is llama.cpp's own:
templates, grammars, the parser of calls, the limits of the context.

Usage: python tiny_llama.py FOLDER CONTEXT_TOKENS   (prints the address when it listens; ends with its standard input)
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

WIDTH = 384
SPECIAL = ("<|unknown|>", "<|end|>", "<|call|>", "<|answer|>", "<|long|>")
CALL = ("<tool_call>", '\n{"name": "shell", ', '"arguments": {"command": "echo ', "one two three four five six seven",
        ' hi"}}', "\n</tool_call>")  # fmt: skip
ANSWER = ("It ", "said ", "so.")

TEMPLATE = """
{%- if tools %}<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools> <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>{% endif %}
{%- for message in messages %}
{%- if message.role == 'system' and not loop.first %}{{ raise_exception('System message must be at the beginning.') }}
{%- endif %}
{%- if not loop.first and message.role == 'user' and messages[loop.index0 - 1].role == 'user' %}
{{- raise_exception('Conversation roles must alternate.') }}{% endif %}
{%- if message.role == 'assistant' and message.tool_calls %}
assistant:{% for call in message.tool_calls %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}
{%- elif message.role == 'tool' %}
<tool_response>
{{ message.content }}
</tool_response>
{%- else %}
{{ message.role }}: {{ message.content }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{%- if tools and messages[-1].role == 'user' and 'use the tool' in messages[-1].content %}<|call|>
{%- elif 'speak on' in messages[-1].content %}<|long|>
{%- else %}<|answer|>{% endif %}
{%- endif %}"""


def byte_letters() -> dict[int, str]:
    """How byte-level BPE writes bytes (GPT-2)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}


LETTERS = byte_letters()


def written(text: str) -> str:
    return "".join(LETTERS[byte] for byte in text.encode())


def write_model(file: Path, context: int) -> None:
    pieces = [written(piece) for piece in (*CALL, *ANSWER)]
    tokens = [*SPECIAL, *pieces, *(LETTERS[byte] for byte in range(256)), "hi"]
    place = {token: number for number, token in enumerate(tokens)}
    random = np.random.default_rng(7)
    embedding = np.zeros((len(tokens), WIDTH), np.float32)
    embedding[np.arange(len(tokens)), np.arange(len(tokens))] = 1
    following = (random.standard_normal((len(tokens), WIDTH)) * 0.01).astype(np.float32)
    for begin, words in (("<|call|>", CALL), ("<|answer|>", ANSWER)):
        chain = [begin, *map(written, words), "<|end|>"]
        for one, after in pairwise(chain):
            following[place[after], place[one]] = 50
    for one, after in (("<|long|>", written("z")), (written("z"), written("z"))):  # for ever
        following[place[after], place[one]] = 50
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // 4)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(["h i"])
    writer.add_eos_token_id(place["<|end|>"])
    writer.add_bos_token_id(0)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", following)
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones(WIDTH, np.float32))
    for name, shape in (
        ("attn_q", (WIDTH, WIDTH)), ("attn_k", (WIDTH, WIDTH)), ("attn_v", (WIDTH, WIDTH)),
        ("attn_output", (WIDTH, WIDTH)), ("ffn_gate", (32, WIDTH)), ("ffn_up", (32, WIDTH)), ("ffn_down", (WIDTH, 32)),
    ):  # fmt: skip
        writer.add_tensor(f"blk.0.{name}.weight", (random.standard_normal(shape) * 1e-4).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    folder, context = Path(sys.argv[1]), int(sys.argv[2])
    write_model(folder / "tiny.gguf", context)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "tiny.gguf")
    parameters.n_ctx = context
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.warmup = False
    parameters.fit_params = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.sampling.temp = 0.0
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


main()
