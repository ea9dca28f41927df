"""What the pages of the schema monitor say, gathered from both sides: the catalog's versions and what healing did about them."""
