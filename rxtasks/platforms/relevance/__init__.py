"""Relevance AI: its agents and workforces."""

from rxtasks.platforms.relevance.catalog import AgentInfo, WorkforceInfo
from rxtasks.platforms.relevance.embed import EmbedKey, generate_embed_key
from rxtasks.platforms.relevance.platform import Relevance

__all__ = ["AgentInfo", "EmbedKey", "Relevance", "WorkforceInfo", "generate_embed_key"]
