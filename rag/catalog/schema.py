"""The catalog's tables.

    collections ◀─ documents ─▶ contents ◀─ pages
                    │   │  ▲        ▲
              folders   └──┘        ├────── chunks (text, span, vector)
                      parent        └────── members (files within the file)

A *content* is what one recipe (parsers, chunker, embedder) made of one file's bytes. It never
changes. A document names the content that answers for it, or none; so a document changes,
moves and vanishes in one UPDATE, and the same bytes in five places are parsed once. The members
that a content lists are documents of their own, below each document that it answers for.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("created_at", String, nullable=False),
    # what answers from it are generated with, as JSON
    Column("parameters", Text, nullable=False, default="{}", server_default="{}"),
    # the model that writes them, as a question names one
    Column("model", Text, nullable=False, default="", server_default=""),
)

folders = Table(
    "folders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    Column("path", String, nullable=False),
    # below it, at which something was mounted at the last sync, as JSON
    Column("mounts", Text, nullable=False, default="[]", server_default="[]"),
    UniqueConstraint("collection_id", "path"),
)

contents = Table(
    "contents",
    metadata,
    Column("key", String, primary_key=True),
    Column("bytes_hash", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("recipe", String, nullable=False),
    Column("title", String, nullable=False, default=""),
    # of its text, as a tag (BCP 47); NULL where it is not clear
    Column("language", String),
    # the moment (ISO 8601, UTC) that it says itself it is of, as a mail does; empty where none
    Column("dated", String, nullable=False, default="", server_default=""),
    # the numbers of the pages that could not be read, as JSON
    Column("unread", Text, nullable=False, default="[]", server_default="[]"),
    Column("page_count", Integer, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    # 0 until its vectors and words are in their indexes and were read back; 2: so, and to be read
    # again, while it goes on answering
    Column("indexed", Integer, nullable=False, default=0),
    # of its rows here, in pages and in chunks; empty: from before there were checksums
    Column("checksum", String, nullable=False, default="", server_default=""),
    Column("created_at", String, nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("content_key", ForeignKey("contents.key"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("label", String, nullable=False, default=""),
    Column("text", Text, nullable=False),
    Column("width", Float, nullable=False, default=0.0),
    Column("height", Float, nullable=False, default=0.0),
    # blocks as JSON, places as packed numbers: see pages.py
    Column("blocks", Text, nullable=False, default="[]"),
    Column("places", LargeBinary, nullable=False, default=b""),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", String, primary_key=True),
    Column("content_key", ForeignKey("contents.key"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("page", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("context", Text, nullable=False, default=""),
    # float16, little-endian, one number a dimension, of length 1
    Column("vector", LargeBinary, nullable=False),
    Index("chunks_of_content", "content_key", "ordinal"),
)

# files within the file: an archive's, or a mail's attachments
members = Table(
    "members",
    metadata,
    Column("content_key", ForeignKey("contents.key"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    # its path within the file
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    # empty where it was not taken; then the error says why
    Column("bytes_hash", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("error", Text),
    Column("error_code", String),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String, primary_key=True),
    Column("collection_id", ForeignKey("collections.id"), nullable=False),
    # NULL for an upload; then `source` is its file name
    Column("folder_id", ForeignKey("folders.id")),
    # the document that it is a member of; its folder and collection are that one's
    Column("parent_id", ForeignKey("documents.id", ondelete="CASCADE")),
    Column("source", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("bytes_hash", String, nullable=False),
    Column("size", Integer, nullable=False),
    # when the mail that it came in was sent, as `contents.dated`; empty where it came in none
    Column("sent", String, nullable=False, default="", server_default=""),
    # size, times and inode of a synced file when its hash was taken; empty: hash it again; of a
    # member the time of the synced file in which its bytes came first
    Column("stat_key", String, nullable=False, default=""),
    # the content that answers for it now; NULL: nothing does
    Column("content_key", ForeignKey("contents.key")),
    Column("state", String, nullable=False),
    Column("recipe", String, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("progress", Float, nullable=False, default=0.0),
    Column("error", Text),
    Column("error_code", String),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("queued_at", Float, nullable=False, default=0.0),
    # an archive that gives way to a folder of its name has members of the same sources for a moment
    Index(
        "documents_of_folder",
        "folder_id",
        "source",
        unique=True,
        sqlite_where=text("parent_id IS NULL"),
    ),
    Index("documents_of_parent", "parent_id", "source", unique=True),
    Index("documents_by_state", "state", "queued_at"),
    Index("documents_by_content", "content_key"),
    Index("documents_by_hash", "bytes_hash"),
    Index("documents_by_collection", "collection_id", "source"),
)

# what a person removed, by its bytes alone, so that it stays out of the collection
removed_bytes = Table(
    "removed_bytes",
    metadata,
    Column("collection_id", ForeignKey("collections.id"), primary_key=True),
    Column("bytes_hash", String, primary_key=True),
    Column("removed_at", String, nullable=False),
)

# the bytes that were stored under this catalog and not let go since
originals = Table("originals", metadata, Column("bytes_hash", String, primary_key=True))

answers = Table(
    "answers",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", String, nullable=False),
    Column("record", Text, nullable=False),
)

# which documents an answer holds text of, so that it goes when one of them goes
answer_documents = Table(
    "answer_documents",
    metadata,
    Column("answer_id", ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    Column("document_id", String, primary_key=True, index=True),
)

# what a person says of an answer; it goes with it
feedback = Table(
    "feedback",
    metadata,
    Column("answer_id", ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    # when it was given, or changed last
    Column("rated_at", String, nullable=False),
    # right or wrong
    Column("rating", String, nullable=False),
    Column("comment", Text, nullable=False, default=""),
    Column("correct_answer", Text, nullable=False, default=""),
)

# which of two answers to a question is better; it goes with either
votes = Table(
    "votes",
    metadata,
    # shown as A and as B
    Column("first_id", ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    Column("second_id", ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("voted_at", String, nullable=False),
    # first, second, both or neither
    Column("vote", String, nullable=False),
    # what decided which one was A; NULL: not by chance
    Column("seed", Integer),
)

# facts about the indexes: which serial is in use, whether it was closed in order
facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
