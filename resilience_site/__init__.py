"""Composition only: settings, urls, ASGI dispatch, embedded servers, and the commands that run everything."""
