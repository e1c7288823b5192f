"""Several processes that each hold a replica of a local model; the engine sees one backend."""
