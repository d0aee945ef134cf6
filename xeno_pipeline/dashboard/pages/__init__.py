"""The pages, one module a subject: each handler makes a response of a visit."""
