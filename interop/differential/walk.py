def scenario(s,l): pass
