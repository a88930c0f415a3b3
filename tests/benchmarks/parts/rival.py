"""Worker of `forward`: PyPI `alphagenome-pt`, through its public API. `rival.py LENGTH CONFIG.json`; no jax here."""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import torch  # pyright: ignore[reportMissingImports]
from alphagenome_pt.model import AlphaGenome, AlphaGenomeConfig  # pyright: ignore[reportMissingImports]
from parts.measure import machine, resident
from parts.worker import reply, serve

SITES = "splice_site_positions"


def tensors(tree) -> list[torch.Tensor]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in tensors(value)]
    return [tree] if isinstance(tree, torch.Tensor) else []


def main() -> None:
    length, config = int(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
    torch.set_num_threads(config.pop("threads"))
    torch.manual_seed(0)
    start = time.perf_counter()
    model = AlphaGenome(AlphaGenomeConfig(**config)).eval()
    with torch.no_grad():
        for name, array in model.named_parameters():
            if "splice_sites_classification" in name:  # weak logits, as on our side: all sites are joined
                array.mul_(2e-4)
    loaded, weights = time.perf_counter() - start, resident()
    bases = torch.randint(4, (length,))
    dna = torch.nn.functional.one_hot(bases, 4)[None].float()
    organism = torch.tensor([0])
    tasks = {"trunk": model.embed, "all": model.predict}

    def run(name):
        start = time.perf_counter()
        with torch.inference_mode():
            result = tasks[name](dna, organism)
        answer = {"seconds": time.perf_counter() - start}
        if name == "all":
            answer["sites"] = (result["splice_sites_junction"][SITES][0] >= 0).sum(dim=1).tolist()
            answer["outputs"] = sum(len(predictions) for predictions in result.values())
            answer["output_bytes"] = sum(leaf.nbytes for leaf in tensors(result))
        return answer | {"peak": resident()}

    reply(
        name=machine("torch", "alphagenome-pt") + f", {torch.get_num_threads()} threads",
        parameters=sum(leaf.numel() for leaf in model.parameters()),
        load_seconds=loaded,
        load_peak=weights,
        compile_seconds={},
        temporary_bytes=0,
    )
    serve({name: lambda name=name: run(name) for name in tasks})


if __name__ == "__main__":
    main()
