"""seedspread: how much of a deep-learning result is the seed?"""
