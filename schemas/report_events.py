"""The events about months' reports."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.event_values import Count, Event, EventData

Year = Annotated[int, Field(strict=True, ge=1970, le=9999)]
Month = Annotated[int, Field(strict=True, ge=1, le=12)]


class ReportPublished(EventData):
    """A month's report can be had at `link`."""

    year: Year
    month: Month
    link: str = Field(description="Of the file with all changes.")
    page_link: str | None = Field(None, description="Of the page that sums them up; absent from older versions.")
    rows: Count
    bytes: Count
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, in hexadecimal.")
    storage: str


class ReportFailed(EventData):
    """A month's report could not be made or published."""

    year: Year
    month: Month
    code: str
    message: str


class ReportPublishedEvent(Event):
    type: Literal["segmentation.report.published.v1"]
    data: ReportPublished


class ReportFailedEvent(Event):
    type: Literal["segmentation.report.failed.v1"]
    data: ReportFailed
