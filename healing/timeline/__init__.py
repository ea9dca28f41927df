"""The schema timeline: changes of the schema, the writes that did not fit afterwards, the rules that mended them, their replays."""
