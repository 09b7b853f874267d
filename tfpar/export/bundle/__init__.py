"""A directory of exported files: manifest, signature, encryption, verification."""
