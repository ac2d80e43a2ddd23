#!/bin/bash
exec "$(dirname "$0")"/all 4 4 rma
