"""Write the reference pages from the code: what stands between the two marks of a page is computed, the rest is written by people.

Not here: anything the product imports.
"""
