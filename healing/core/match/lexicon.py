"""What words in database names mean: abbreviations, synonyms, kin and opposites.

Written by hand for the vocabulary of applications, never mined from a data set that is also used to judge the matcher. Edit the
text blocks; everything else is derived. Words are given in singular, lower case; several languages because applications mix them.
"""

from __future__ import annotations

from collections.abc import Iterator

ABBREVIATIONS: dict[str, str] = dict(
    pair.split("=")
    for pair in [
        "addr=address",
        "amt=amount",
        "qty=quantity",
        "qtd=quantity",
        "desc=description",
        "descr=description",
        "lat=latitude",
        "lng=longitude",
        "lon=longitude",
        "num=number",
        "nr=number",
        "msg=message",
        "img=image",
        "pic=picture",
        "cfg=configuration",
        "config=configuration",
        "conf=configuration",
        "meta=metadata",
        "cat=category",
        "ts=timestamp",
        "dt=date",
        "pwd=password",
        "passwd=password",
        "org=organization",
        "usr=user",
        "acct=account",
        "acc=account",
        "ref=reference",
        "src=source",
        "dest=destination",
        "dst=destination",
        "cnt=count",
        "tel=phone",
        "telephone=phone",
        "telefone=phone",
        "dob=birthdate",
        "loc=location",
        "info=information",
        "doc=document",
        "docs=document",
        "attr=attribute",
        "attrs=attribute",
        "param=parameter",
        "params=parameter",
        "prop=property",
        "props=property",
        "spec=specification",
        "tx=transaction",
        "txn=transaction",
        "trx=transaction",
        "inv=invoice",
        "prod=product",
        "cust=customer",
        "emp=employee",
        "dept=department",
        "mgr=manager",
        "mgmt=management",
        "max=maximum",
        "min=minimum",
        "avg=average",
        "pct=percent",
        "perc=percent",
        "percentage=percent",
        "temp=temperature",
        "temperatura=temperature",
        "val=value",
        "var=variable",
        "lang=language",
        "env=environment",
        "auth=authentication",
        "authn=authentication",
        "req=request",
        "res=response",
        "resp=response",
        "exp=expiration",
        "expiry=expiration",
        "expires=expiration",
        "expire=expiration",
        "expired=expiration",
        "dur=duration",
        "freq=frequency",
        "seq=sequence",
        "idx=index",
        "pos=position",
        "lvl=level",
        "pref=preference",
        "prefs=preference",
        "stats=statistic",
        "stat=statistic",
        "sig=signature",
        "auto=automatic",
        "tpl=template",
        "tmpl=template",
        "cmd=command",
        "ctx=context",
        "exec=execution",
        "err=error",
        "warn=warning",
        "approx=approximate",
        "est=estimated",
        "calc=calculated",
        "orig=original",
        "prev=previous",
        "curr=current",
        "cur=current",
        "fk=foreign",
        "pk=primary",
        "pw=password",
        "uid=user",
        "guid=uuid",
        "fname=first",
        "lname=last",
        "mname=middle",
        "zip=postal",
        "zipcode=postal",
        "postcode=postal",
        "cep=postal",
        "colour=color",
        "favourite=favorite",
        "organisation=organization",
        "licence=license",
        "cancelled=canceled",
        "cancelling=canceling",
        "fulfilment=fulfillment",
        "repo=repository",
        "dir=directory",
        "app=application",
        "apps=application",
        "perm=permission",
        "perms=permission",
        "priv=private",
        "pub=public",
        "sync=synced",
        "synchronized=synced",
        "ext=external",
        "int=internal",
        "len=length",
        "ver=version",
        "rev=revision",
        "pkg=package",
        "lib=library",
        "vat=tax",
        "iva=tax",
        "thumb=thumbnail",
        "avail=available",
        "avg=average",
        "std=standard",
        "sub=subscription",
        "subs=subscription",
        "mod=modified",
        "upd=updated",
        "lst=list",
        "tot=total",
        "bal=balance",
        "disc=discount",
        "promo=promotion",
        "ship=shipping",
        "deliv=delivery",
        "mfr=manufacturer",
        "manuf=manufacturer",
        "sku=sku",
        "cpf=taxid",
        "cnpj=taxid",
        "ssn=taxid",
        "ein=taxid",
        "obs=note",
        "observacao=note",
        "observacoes=note",
    ]
)

SYNONYMS = """
message body content text
description summary synopsis abstract overview
description detail explanation
description content
description message
summary excerpt snippet
note comment remark memo annotation
reason note
reason cause motive
special_instructions note
name title label caption heading
display presentation
title subject headline
name identifier handle
full complete whole
full display
creator author owner maker host
creator created
author writer
owner user
user member profile account
user customer
user person
performed created
actor user
requested created requester
added created inserted
invited sender
assigned assignee owner
approved approver
reviewed reviewer
updated modified changed edited
submitted sent
completed finished done closed completion
canceled cancellation aborted
started start begin began begins commenced
ended end finish ends until deadline due
scheduled planned send
scheduled appointment
scheduled due
expiration end until valid
created inserted added registered
deleted removed destroyed
archived deleted
timestamp time date datetime
date day
time hour
occurred happened time
email mail
phone mobile cellphone cell telefono
picture image photo avatar media
image thumbnail
logo picture image
attachment file document upload
file path
filename file
url link href uri website permalink
slug handle permalink
slug uuid
site website
path route url
key path
quantity count number total amount
quantity unit
count number total
total sum overall
total amount
amount price cost value fee charge
price rate
cost expense spend
fee charge commission
tax duty
rate percent ratio
discount promotion rebate
salary wage pay compensation
balance remaining
budget spend
score rating rank points grade ranking
score confidence
score strength
confidence probability certainty likelihood strength
level tier grade rank severity
plan tier package subscription
plan cycle
interval cycle period frequency
severity priority urgency level
priority importance
state status stage phase condition
status lifecycle
type kind category class genre sort
type mime
category group section topic
category type
category entity
tag label keyword
metadata data information detail attribute extra context payload
context execution
data payload content json result
response result output answer reply body
request input query prompt
input prompt
question query
answer response
configuration setting option preference parameter
rule policy
permission right privilege visibility access
role permission
active enabled live visible on
enabled activated
public visible published shared
published live
hidden invisible
read seen viewed opened
disabled inactive
locked frozen
verified confirmed validated
approved accepted validated
rejected declined denied refused
archived inactive
default initial
guest anonymous
customer client buyer purchaser shopper
customer contact
customer lead
company business organization firm enterprise employer
company brand
company account
organization tenant workspace team
team group
employee staff worker personnel
employee user
contractor vendor supplier provider
vendor seller merchant
provider engine
operator agent
driver carrier
member participant
guest visitor
student learner pupil
teacher instructor trainer
parent ancestor root
product item article good
book edition
order purchase
order position sequence rank sort
line item
variant version
invoice bill
payment transaction
subscription membership
shipment shipping delivery fulfillment
store shop
stock inventory
address street location
location place site
storage location
city town
state province region
country nation
postal zip
zone area region
latitude lat
longitude lng
source origin provenance channel
source provider
channel medium platform
referrer source
external foreign remote
external third
internal local
reference number
identifier number code
identifier key
token secret key
login sign
sign signature
password secret passphrase
hash digest md5 checksum
session connection
visit session
event activity action occurrence
action operation task
action type
log history record
history execution
task job todo
mission project
project case
report statement
document paper
form sheet
page screen view
view impression
like favorite
comment reply
post article
block component widget section
chart graph visualization
layout design
design canvas template
template model
model version
dimension field
field attribute
measure metric stat statistic
statistic metric
duration length
length size
size dimension
width breadth
weight mass
width x
address ip
server host
server ipaddress
device machine
network internet
language locale
currency money denomination
gender sex
birthdate birthday birth
age years
first given
last family surname
last recent latest previous
previous prior former old legacy
original source initial
next upcoming
current present
new fresh
maximum limit max
maximum capacity
minimum min
threshold limit
capacity limit
attempt retry
failed error failure
error failure fault exception
warning alert
alert notification
notification message
success ok
issue problem
problem symptom
diagnosis condition
recommendation suggestion advice
goal objective target
objective purpose
skill competency
experience seniority
feature flag
trigger rule
variable parameter
index position
position order
order sort
parent container
group collection
collection list set
list items
items lines
slots places
process run
run execution
job run
worker agent
bot agent
ai model
assistant agent
memory knowledge
knowledge article
embedding vector
chunk segment part
segment section
quiz content
lesson module
course training
webhook callback
hook webhook
backup copy
snapshot data
entity object record
resource entity
resource target
target destination
target resource
target recipient
recipient receiver
receiver to
sender from
from source
linked related associated connected correlated
legacy old
primary main default
secondary alternate
final total
included inclusive including
excluded exclusive excluding
gross total
net after
before pre
after post
pre before
"""
"""One pair or group a line: words that are used for each other. The same word may be in many groups."""

TRANSLATIONS = """
name=nome,nombre,nom,naam title=titulo,titre,titel description=descricao,descripcion,beschreibung,descrizione date=data,fecha,datum
value=valor,valeur,wert price=preco,precio,prix,preis,prezzo quantity=quantidade,cantidad,quantite,menge type=tipo,typ status=situacao,estado,statut,etat
state=estado phone=telefone,telefono,telephon city=cidade,ciudad,ville,stadt,citta address=endereco,direccion,adresse,indirizzo street=rua,calle,strasse
country=pais,pays,land user=usuario,utilisateur,benutzer,utente customer=cliente,kunde client=cliente company=empresa,entreprise,firma,azienda,societe
employee=funcionario,empleado,mitarbeiter product=produto,producto,produit,produkt,prodotto order=pedido,commande,bestellung,ordine
payment=pagamento,pago,paiement,zahlung invoice=fatura,factura,facture,rechnung,fattura note=nota,notiz,observacao category=categoria,categorie,kategorie
image=imagem,imagen,bild message=mensagem,mensaje,nachricht,messaggio conversation=conversa,conversacion contact=contato,contacto,kontakt
created=criado,creado,cree,erstellt updated=atualizado,actualizado,aktualisiert active=ativo,activo,actif,aktiv email=correo,courriel
password=senha,contrasena start=inicio,debut,beginn,anfang end=fim,fin,ende,previsao total=gesamt,totale amount=montante,monto,montant,betrag
draft=rascunho,borrador,brouillon,entwurf published=publicado,publie,veroffentlicht,pubblicato archived=arquivado,archivado,archive,archiviert
pending=pendente,pendiente,ouvert,offen,attente open=aberto,abierto,ouvert,offen closed=fechado,cerrado,ferme,geschlossen
done=concluido,concluida,hecho,termine,erledigt canceled=cancelado,cancelada,annule,storniert in_progress=en_cours,em_andamento,en_progreso
approved=aprovado,aprobado,approuve,genehmigt rejected=rejeitado,rechazado,rejete,abgelehnt review=revisao,revision
in=entrada,ingreso,eingang out=saida,salida,sortie,ausgang refund=devolucao,devolucion,remboursement,erstattung withdrawal=retirada,retiro
owner=dono,dueno,proprietaire,inhaber manager=gerente,gestor,responsable admin=administrador,administrateur leisure=freizeit,loisir,lazer
high=alta,alto,hoch,haut low=baixa,baja,bajo,niedrig,bas medium=media,medio,mittel,moyen yes=sim,si,oui,ja no=nao,non,nein
paid=pago,pagado,paye,bezahlt won=gewonnen,ganho lost=verloren,perdido new=novo,nuevo,nouveau,neu,neuf contacted=kontaktiert,contatado
horse=cavalo,pferd male=masculino,homme,mannlich female=feminino,femme,weiblich future=futuro,futura,oportunidades_futuras
opportunity=oportunidade,oportunidad action=acao,accion,acciones agreed=acordado,acordada agreement=acordo,acuerdo,contrato
"""
"""english=word,word: all of them are synonyms."""

LABEL_SYNONYMS = """
pending open new queued waiting
pending scheduled
pending processing
pending draft
pending sent
pending active
pending running
pending submitted
pending unpaid
queued scheduled
queued processing
draft new
draft pending
open active
open new
running active in_progress processing started ongoing working
in_progress pending
in_progress doing
completed done finished complete success succeeded successful resolved closed
completed delivered
completed processed
processed resolved
processed completed
processed triaged
processed reviewed
succeeded paid
success info
success sent
success ok
ok passed
failed error failure errored
failed rejected
failed bounced
error critical
warning medium
warning alert
canceled cancelled void voided aborted revoked
canceled rejected
canceled inactive
canceled failed
canceled closed
expired ended lapsed
paused suspended on_hold onhold inactive disabled
disabled inactive
active enabled published live confirmed current
inactive archived
archived closed
deleted archived
deleted removed
removed inactive
approved accepted confirmed verified
paid completed confirmed settled
rejected declined denied refused
credit deposit topup top_up
credit refund
debit purchase withdrawal charge payment
investment purchase
buy purchase
sell sale
income in inflow revenue
expense out outflow
customer contact client
customer user
agent user
agent assistant
agent staff
bot assistant ai system
assistant system
human user
human agent
employee staff member worker
employee user
manager admin
admin manager
admin owner
owner admin
superadmin admin
member user
viewer view reader guest
editor write
high urgent important
urgent critical highest
critical high severe
medium normal moderate average standard
low minor minimal
info low notice information
none no
phone call telephone
call phone
sms text
email mail
chat web_chat message
onsite on_site in_person office
remote wfh online
hybrid mixed
monthly month
yearly year annual annually
weekly week
daily day
hourly hour
dispatched sent shipped
sent delivered
shipped sent
delivered received
new lead
new pending
image photo picture
document file pdf
video media
male m man
female f woman
update updated
create created
delete deleted deletion
company business organization
individual person personal
free basic starter
pro premium professional
other misc general unknown custom
other default
unknown other
platform other
manual user
automatic auto system
"""

OPPOSITES = """
start end
started ended
first last
min max
minimum maximum
from to
source target
sender recipient
sender receiver
created updated
created deleted
old new
before after
in out
inbound outbound
gross net
debit credit
input output
request response
latitude longitude
width height
subject body
question answer
first_name last_name
buyer seller
driver customer
generator hauler
generator receiver
hauler receiver
customer receiver
parent child
low high
up down
left right
likes dislikes
views likes
views comments
likes comments
opened clicked
approved rejected
accepted rejected
enabled disabled
active inactive
public private
income expense
open close
opened closed
read write
home work
billing shipping
male female
planned actual
estimated actual
expected actual
current previous
previous next
city state
city country
state country
street city
email phone
phone email
name email
name phone
title description
name description
index table
tax total
weight price
sms email
cpu memory
disk memory
primary secondary
monthly yearly
daily weekly
daily monthly
hour day
fr en
en es
en de
en pt
"""

UNITS: dict[str, str] = {
    unit: kind
    for kind, units in {
        "mass": "g kg mg lb lbs oz ton tons gram grams kilogram kilograms pound pounds tonne tonnes",
        "length": "m km cm mm mi mile miles ft feet inch inches meter meters kilometer kilometers",
        "time": "ms msec second seconds sec secs minute minutes mins hour hours hrs day days week weeks month months year years millisecond milliseconds",
        "bytes": "byte bytes kb mb gb tb kib mib gib bit bits",
        "money": "cent cents dollar dollars eur usd brl gbp centavos reais",
        "share": "percent percentage ratio fraction bps pct",
        "heat": "celsius fahrenheit kelvin",
        "volume": "ml liter liters litre litres gallon gallons",
    }.items()
    for unit in units.split()
}

SECRECY = frozenset(
    [
        "hash",
        "hashed",
        "encrypted",
        "crypted",
        "cipher",
        "digest",
        "md5",
        "sha1",
        "sha256",
        "bcrypt",
        "salted",
        "masked",
        "redacted",
        "token",
        "vault",
    ]
)
PRIVILEGE = frozenset(
    [
        "admin",
        "superuser",
        "superadmin",
        "root",
        "role",
        "permission",
        "permissions",
        "privilege",
        "privileged",
        "staff",
        "owner",
        "is_admin",
        "grant",
        "scope",
    ]
)
STATISTIC = {
    "count": "count",
    "number": "count",
    "total": "total",
    "sum": "total",
    "average": "average",
    "mean": "average",
    "median": "average",
    "minimum": "minimum",
    "maximum": "maximum",
    "rate": "rate",
    "percent": "rate",
    "ratio": "rate",
}


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.strip().splitlines():
        words = line.split()
        for one in words:
            for other in words:
                if one != other:
                    yield one, other


def _translations() -> Iterator[tuple[str, str]]:
    for entry in TRANSLATIONS.split():
        head, _, rest = entry.partition("=")
        words = [head, *rest.split(",")]
        yield from ((a, b) for a in words for b in words if a != b)


SYNONYM_PAIRS: frozenset[tuple[str, str]] = frozenset(_pairs(SYNONYMS)) | frozenset(_translations())
LABEL_PAIRS: frozenset[tuple[str, str]] = frozenset(_pairs(LABEL_SYNONYMS)) | frozenset(_translations())
OPPOSITE_PAIRS: frozenset[tuple[str, str]] = frozenset(_pairs(OPPOSITES))
