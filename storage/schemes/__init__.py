"""The schemes that are known here, one module each; what a scheme needs is imported when it is used."""
