"""The scanner and the codemod on real projects of other people: fetched by whoever measures, never part of this repository."""
