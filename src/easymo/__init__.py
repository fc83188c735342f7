"""EasyMO, measured: the engines behind a performance promise and the judge that holds it to account."""
