"""Orders of customers: SQLAlchemy 2, Pydantic, and a login that answers with a JWT."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["SECRET_KEY"]
engine = create_async_engine(os.environ["SQLALCHEMY_URL"], pool_size=8)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    """Tables of this service."""


class Customer(Base):
    """Somebody who may log in."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


class Order(Base):
    """One order; the index on `customer_id` was forgotten, see migrations/versions/0002_orders_by_customer.py."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    cents: Mapped[int]


class Login(BaseModel):
    """Who wants in."""

    email: str


class OrderOut(BaseModel):
    """An order as it is shown."""

    id: int
    cents: int


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


def customer(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> int:
    try:
        return int(jwt.decode(bearer.credentials, SECRET, algorithms=["HS256"])["sub"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "log in first") from error


Session = Annotated[AsyncSession, Depends(session)]
Me = Annotated[int, Depends(customer)]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/login")
async def login(given: Login, db: Session) -> dict[str, str]:
    found = await db.scalar(select(Customer.id).where(Customer.email == given.email))
    if found is None:
        raise HTTPException(401, "no such customer")
    claims = {"sub": str(found), "exp": datetime.now(UTC) + timedelta(hours=1)}
    return {"token": jwt.encode(claims, SECRET, "HS256")}


@app.get("/orders")
async def orders(me: Me, db: Session) -> list[OrderOut]:
    rows = await db.scalars(select(Order).where(Order.customer_id == me).order_by(Order.id.desc()).limit(20))
    return [OrderOut(id=row.id, cents=row.cents) for row in rows]


@app.post("/orders", status_code=201)
async def order(me: Me, db: Session) -> OrderOut:
    row = Order(customer_id=me, cents=100 + me % 900)
    db.add(row)
    await db.commit()
    return OrderOut(id=row.id, cents=row.cents)
