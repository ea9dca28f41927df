"""``POST /api/v1/transactions``: several writes that land together, healed inside, or not at all."""
