"""Worker of `forward`: this suite's model. `ours.py LENGTH [--reduced]`."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from ag_core.sequence import one_hot
from parts.full import codes, full_model, full_spec, parameters
from parts.measure import machine, resident
from parts.worker import reply, serve


@eqx.filter_jit
def trunk(model, codes, organism):
    return model.embed(one_hot(codes)[None], organism)


@eqx.filter_jit
def everything(model, codes, organism):
    return model(one_hot(codes)[None], organism)


def main() -> None:
    length, reduced = int(sys.argv[1]), "--reduced" in sys.argv
    start = time.perf_counter()
    model = full_model(reduced)
    arguments = model, jnp.asarray(codes(length)), jnp.array([0])
    loaded, weights = time.perf_counter() - start, resident()
    programs, compiled = {}, {}
    for name, function in {"trunk": trunk, "all": everything}.items():
        start = time.perf_counter()
        programs[name] = function.lower(*arguments).compile()
        compiled[name] = time.perf_counter() - start
    plan = programs["all"].compiled.memory_analysis()

    def run(name):
        start = time.perf_counter()
        result = jax.block_until_ready(programs[name](*arguments))
        answer = {"seconds": time.perf_counter() - start}
        if name == "all":
            sites = np.asarray(result["splice_junctions"]["splice_site_positions"])[0]
            answer["sites"] = (sites >= 0).sum(axis=1).tolist()
            answer["outputs"] = sum(len(predictions) for predictions in result.values())
            answer["output_bytes"] = sum(leaf.nbytes for leaf in jax.tree.leaves(result))
        return answer | {"peak": resident()}

    reply(
        name=machine("jax", "jaxlib", "equinox", "ag-core"),
        parameters=parameters(full_spec(reduced)),
        load_seconds=loaded,
        load_peak=weights,
        compile_seconds=compiled,
        temporary_bytes=getattr(plan, "temp_size_in_bytes", 0),
    )
    serve({name: lambda name=name: run(name) for name in programs})


if __name__ == "__main__":
    main()
