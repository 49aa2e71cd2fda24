"""The audit: is a robustness number evidence, or was the attack weak?"""
