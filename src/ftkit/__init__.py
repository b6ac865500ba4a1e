"""ftkit."""
