"""What a stranger's files, servers and models may not do here, one module a promise.

Pickles run nothing: test_pickles, and tests/corpus/test_pickles. Sequences stay in their own file
and within limits: test_sequences. Names never become paths: test_names. Bombs are stopped:
test_bombs and test_sequences. Redirects go to servers only: tests/corpus/test_fetch. Models bring
no code and no pickle: test_models, and tests/test_encoders. Pages, tables and figures show text as
text: test_pages, and tests/evidence. No shell reads data: test_shell. Results that others put there
end in one line: test_results.
"""
