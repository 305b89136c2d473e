import pytest

from pipeline import schemas


@pytest.mark.parametrize("name", schemas.TABLES)
def test_every_column_is_described_once(name):
    table = schemas.TABLES[name]
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    for column in (*table.columns, *(each for c in table.columns for each in c.fields)):
        assert column.meaning
        assert not column.meaning.endswith(".")


@pytest.mark.parametrize("name", schemas.TABLES)
def test_descriptions_do_not_enter_the_schema(name):
    schema = schemas.schema_of(schemas.TABLES[name].columns)
    assert schema.metadata is None
    assert all(field.metadata is None for field in schema)
