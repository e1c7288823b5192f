"""The example repositories that are shipped with the package; `harness init` copies them."""
