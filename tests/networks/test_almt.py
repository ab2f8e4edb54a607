"""ALMT, reimplemented: its hyper-modality, its embeddings and its fusion, against plain loops."""

import math

import torch

from hycon.networks.peers.almt import Almt, HyperModality
from hycon.networks.peers.attention import Embedding, Layer
from tests.networks.batches import LONGEST, WIDTHS, batch

SIZES = {
    "dimension": 8, "tokens": 3, "layers": 2, "scales": 3, "fusion_layers": 2, "heads": 2,
    "hidden": 7, "dropout": 0.0,
}  # fmt: skip


def almt(widths=WIDTHS, outputs=1, **changes):
    torch.manual_seed(0)
    return Almt(widths, outputs, LONGEST, **{**SIZES, **changes}).eval()


def test_the_hyper_modality_is_the_sum_of_what_the_text_finds_in_audio_and_in_vision():
    torch.manual_seed(0)
    layer = HyperModality(8, 2, ["audio", "vision"])
    hyper, text, audio, vision = torch.randn(4, 2, 3, 8)
    query = layer.query(layer.norm(text)).detach()
    found = torch.zeros(2, 3, 8)
    for name, states in (("audio", audio), ("vision", vision)):
        key, value = layer.key_value[name](layer.norms[name](states)).detach().chunk(2, dim=2)
        for row in range(2):
            for token in range(3):
                for head in (slice(0, 4), slice(4, 8)):
                    close = (query[row, token, head] @ key[row, :, head].T / 2).tolist()
                    total = sum(math.exp(each) for each in close)
                    for at in range(3):
                        share = math.exp(close[at]) / total
                        found[row, token, head] += share * value[row, at, head]
    expected = hyper + layer.out(found)
    given = layer(hyper, text, {"audio": audio, "vision": vision, "text": text})
    torch.testing.assert_close(given, expected)


def test_each_layer_of_the_hyper_modality_reads_the_text_at_its_own_scale():
    network, seen = almt(), []
    for layer in network.hyper_layers:
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    after = []
    for layer in network.text_layers:
        layer.register_forward_hook(lambda _, inputs, output: after.append(output))
    network(batch())
    assert len(seen) == 3
    assert len(after) == 2
    assert torch.equal(seen[1], after[0])
    assert torch.equal(seen[2], after[1])


def test_a_token_with_the_text_behind_it_attends_to_the_hyper_modality_and_predicts():
    network, seen = almt(), []
    network.hyper_layers[-1].register_forward_hook(
        lambda _, inputs, output: seen.extend([inputs[1], output])
    )
    output = network(batch())
    text, hyper = seen
    token = network.token.expand(5, -1, -1)
    read = torch.cat([token, hyper], dim=1) + network.hyper_positions
    states = torch.cat([token + network.token_position, text], dim=1)
    for layer in network.fusion:
        states = layer(states, others=read)
    torch.testing.assert_close(states[:, 0], output.fused)
    torch.testing.assert_close(network.head(states[:, 0]), output.prediction)


def test_with_text_alone_the_text_attends_to_itself():
    network, seen = almt({"text": 6}), []
    network.hyper_layers[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    network(batch(reads=["text"]))
    ((hyper, text, embedded),) = seen
    layer = network.hyper_layers[1]
    twin = HyperModality(8, 2, ["audio"])
    twin.load_state_dict(
        {key.replace(".text", ".audio"): value for key, value in layer.state_dict().items()}
    )
    expected = twin(hyper, text, {"audio": embedded["text"]})
    assert torch.equal(layer(hyper, text, embedded), expected)


def test_an_embedding_computes_its_tokens_alike_alone_and_beside_the_steps():
    torch.manual_seed(0)
    embed = Embedding(6, 9, 3, 1.0, [Layer(8, 2, 7, 0.0) for _ in range(2)])
    states, lengths = embed(batch()["text"])
    tokens, number = embed(batch()["text"], tokens_only=True)
    assert lengths.tolist() == [3 + 3, 3 + 9, 3 + 1, 3 + 4, 3 + 2]
    assert number.tolist() == [3] * 5
    torch.testing.assert_close(tokens, states[:, :3])
