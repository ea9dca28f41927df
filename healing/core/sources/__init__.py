"""What source code that talks to the database says: its calls as values, what is wrong with them, in what order to move them."""
