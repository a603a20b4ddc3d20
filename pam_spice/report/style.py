"""The look of a report: on a screen, wide or narrow, light or dark, and on paper."""

from pam_spice.calendar_html import STYLE as CALENDAR_STYLE

STYLE = CALENDAR_STYLE + """
body { margin: 0 auto; padding: 1.5rem; max-width: 84rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; border-top: 2px solid #8b949e;
  padding-top: .7rem; }
p { max-width: 62rem; margin: .4rem 0; }
a { color: #0b5394; }
.under, caption, .none, .aside { color: #57606a; }
nav ul { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem;
  padding: 0; margin: 1.2rem 0 0; list-style: none; }
nav a { display: block; height: 100%; box-sizing: border-box; padding: .5rem .8rem;
  border: 1px solid #b3bac1; border-radius: .4rem; text-decoration: none; color: inherit; }
nav a:hover, nav a:focus { outline: 2px solid #0b5394; }
nav b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
nav .look { border: 2px solid #b3261e; }
caption { padding: 0 0 .4rem; max-width: 62rem; }
table.cards { width: 100%; }
.cards thead th { white-space: nowrap; }
.cards th, .cards td { overflow-wrap: anywhere; }
.cards tbody th, .cards td { min-width: 3.7rem; }
.cards tbody th, .cards tbody th + td { min-width: 6.2rem; }
.cards tbody tr { border-bottom: 1px solid #d5d9de; }
.cards ul { margin: 0; padding: 0; list-style: none; }
time { white-space: nowrap; font-variant-numeric: tabular-nums; }
details { margin-top: .6rem; overflow-x: auto; }
summary { cursor: pointer; }
figure { margin: 0; }
ul.notes li { max-width: 60rem; margin: .3rem 0; }
footer { margin-top: 2.4rem; border-top: 1px solid #b3bac1; padding-top: .6rem; }
@media screen and (max-width: 45rem) {
  body { padding: 1rem; }
  nav ul { grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
  .cards, .cards caption, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  .cards tbody { border: 0; }
  .cards thead { position: absolute; clip-path: inset(50%); height: 1px; width: 1px;
    overflow: hidden; }
  .cards tbody tr { border: 1px solid #b3bac1; border-radius: .4rem; padding: .5rem .8rem;
    margin-bottom: .6rem; }
  .cards th, .cards td { padding: .1rem 0; }
  .cards td { display: grid; grid-template-columns: 7rem 1fr; gap: .6rem; }
  .cards td:empty { display: none; }
  .cards td::before { content: attr(data-label); color: #57606a; }
}
@media (prefers-color-scheme: dark) {
  h2 { border-color: #59626b; }
  a { color: #8ec5ff; }
  .under, caption, .none, .aside, .cards td::before { color: #aab2ba; }
  nav a { border-color: #59626b; }
  nav .look { border-color: #ff8f7a; }
  .cards tbody tr { border-color: #3a424a; }
}
@media print {
  :root { color-scheme: light; }
  body { font-size: 9pt; padding: 0; max-width: none; color: #000; background: #fff; }
  figure svg { min-width: 0; }
  details:not([open]) { display: none; }
  tr, nav li { break-inside: avoid; }
  h2, caption { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""
