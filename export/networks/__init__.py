"""The published architectures under the key names of the libraries that users train them with."""
