// Products and what a category costs on average; the average is computed anew for every request.
import express from "express";
import knex from "knex";
import config from "./knexfile.js";

const db = knex(config);
const app = express();
const keepMs = Number(process.env.KEEP_AVERAGES_MS ?? 0);
const kept = new Map();

async function average(category) {
  const known = kept.get(category);
  if (known && known.until > Date.now()) return known.value;
  const [row] = await db("products").where({ category }).avg("cents as cents");
  const value = Math.round(Number(row.cents));
  if (keepMs) kept.set(category, { value, until: Date.now() + keepMs });
  return value;
}

app.get("/health", (request, response) => response.send("ok"));

app.get("/products/:id", async (request, response) => {
  const product = await db("products").where({ id: request.params.id }).first();
  if (!product) return response.sendStatus(404);
  response.json(product);
});

app.get("/categories/:category/average", async (request, response) => {
  response.json({ cents: await average(Number(request.params.category)) });
});

app.listen(Number(process.env.PORT), "127.0.0.1");
