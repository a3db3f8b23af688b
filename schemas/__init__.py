"""The contract in code: commands, events, rejection codes and topics, and the two ways between them and bytes.

It imports only the standard library, pydantic, isodate and orjson, never the worker. JSON Schemas, the AsyncAPI
document and the contract's reference under `docs/` are generated from here by `python -m schemas.export`.
"""
