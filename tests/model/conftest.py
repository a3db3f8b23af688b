import pytest, asyncio, asyncpg, uuid
from worker.settings import load
from worker import migrations


@pytest.fixture
def settings_without_kafka():
    name = "m" + uuid.uuid4().hex[:8]

    async def mk():
        c = await asyncpg.connect("postgresql://postgres@localhost:5499/postgres")
        await c.execute(f'create database "{name}"')
        await c.close()
        s = load(database_url=f"postgresql://postgres@localhost:5499/{name}", topic_prefix=name)
        await migrations.upgrade(s)
        return s

    yield asyncio.run(mk())

    async def rm():
        c = await asyncpg.connect("postgresql://postgres@localhost:5499/postgres")
        await c.execute(f'drop database "{name}" with (force)')
        await c.close()

    asyncio.run(rm())
