"""
From links to files: pictures, manifest, page.
"""
