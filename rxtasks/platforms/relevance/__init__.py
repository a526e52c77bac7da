"""Relevance AI: its agents and workforces."""

from rxtasks.platforms.relevance.adapter import Relevance
from rxtasks.platforms.relevance.catalog import AgentInfo, WorkforceInfo
from rxtasks.platforms.relevance.embed import EmbedKey, generate_embed_key

__all__ = ["AgentInfo", "EmbedKey", "Relevance", "WorkforceInfo", "generate_embed_key"]
