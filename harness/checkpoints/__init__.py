"""Which weights are meant: specs, digests of files, the manifest beside a checkpoint."""
