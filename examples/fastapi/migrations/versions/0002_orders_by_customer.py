"""The index that the list of orders needs, built without a lock."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("orders_by_customer", "orders", ["customer_id", "id"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("orders_by_customer", "orders")
